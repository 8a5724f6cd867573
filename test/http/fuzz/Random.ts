/** Pseudo-random choices: the same seed makes the same ones. */
export class Random {
  private state: number

  /** @param parts whole numbers; each of them changes every choice */
  constructor(...parts: ReadonlyArray<number>) {
    this.state = parts.reduce((seed, part) => Math.imul(seed ^ part, 0x9e3779b1) ^ (seed >>> 15), 1)
  }

  /** From 0 up to 1; mulberry32. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** From `min` to `max`, both of them included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<A>(from: ReadonlyArray<A>): A {
    const picked = from[this.int(0, from.length - 1)]
    if (picked === undefined && from.length === 0) throw new Error("nothing to pick from")
    return picked as A
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.int(0, 255)))
  }
}
