import type { Change, Json, Millis, Woken } from "./RunStore.js"

/** A commit that has changed nothing. */
export const nothing: Change = {
  pending: false,
  foreign: false,
  finished: [],
  signals: [],
  interrupts: [],
  woken: [],
  wakeAt: undefined
}

/** Collects what the operations of one transaction change. */
export class ChangeLog {
  private pending = false
  private schedules = false
  private wakeAt: Millis | undefined
  private hasBulk = false
  private pauses = false
  private readonly finishedRuns: Array<{ readonly runId: string; readonly exit: Json }> = []
  private readonly interrupted: Array<string> = []
  private readonly stored: Array<{
    readonly runId: string
    readonly name: string
    readonly exit: Json
  }> = []

  private readonly woken: Array<Woken> = []

  /** In the order in which they were woken. */
  wokeUp(woken: Woken): void {
    this.woken.push(woken)
  }

  becamePending(): void {
    this.pending = true
  }

  /** A schedule was put, changed or removed. */
  scheduled(): void {
    this.schedules = true
  }

  bulk(): void {
    this.hasBulk = true
  }

  /** A workflow was paused, or is not any more. */
  pausesChanged(): void {
    this.pauses = true
  }

  finished(runId: string, exit: Json): void {
    this.finishedRuns.push({ runId, exit })
  }

  signal(runId: string, name: string, exit: Json): void {
    this.stored.push({ runId, name, exit })
  }

  interrupt(runId: string): void {
    this.interrupted.push(runId)
  }

  timer(wakeAt: Millis): void {
    this.wakeAt = Math.min(wakeAt, this.wakeAt ?? wakeAt)
  }

  /** `undefined` when nobody needs to hear of it. */
  toChange(): Change | undefined {
    const nothing =
      !this.pending &&
      !this.schedules &&
      !this.hasBulk &&
      !this.pauses &&
      this.wakeAt === undefined &&
      this.finishedRuns.length === 0 &&
      this.stored.length === 0 &&
      this.woken.length === 0 &&
      this.interrupted.length === 0
    return nothing
      ? undefined
      : {
          pending: this.pending,
          foreign: false,
          finished: this.finishedRuns,
          signals: this.stored,
          interrupts: this.interrupted,
          woken: this.woken,
          wakeAt: this.wakeAt,
          ...(this.schedules ? { schedules: true } : {}),
          ...(this.hasBulk ? { bulk: true } : {}),
          ...(this.pauses ? { pauses: true } : {})
        }
  }
}
