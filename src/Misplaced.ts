/**
 * Services that have a default are asked for by nobody's type: one that comes out of a layer beside
 * those that ask for it would be ignored without a word.
 */
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Signals } from "./engine/Signals.js"
import { RunAccess } from "./http/Access.js"
import { Shutdown } from "./runner/Shutdown.js"
import { Exposed } from "./telemetry/Exposed.js"

/** A service is provided where nobody asks for it. A fault in the app's code: the start dies of it. */
export class MisplacedService extends Data.TaggedError("MisplacedService")<{
  readonly service: string
  readonly instead: string
}> {
  override get message() {
    return `${this.service} comes out of the layer of the workflows or of the HTTP API, where nobody asks for it: ${this.instead}`
  }
}

const ofHttp = (option: string) =>
  `give it as the option http.${option}, or provide it to the layer of the executor with Layer.provide`

const services = [
  { key: RunAccess.key, service: "RunAccess", instead: ofHttp("access") },
  { key: Shutdown.key, service: "Shutdown", instead: ofHttp("shutdown") },
  { key: Exposed.key, service: "Exposed", instead: ofHttp("exposed") },
  {
    key: Signals.key,
    service: "Signals",
    instead: "it is an annotation, workflow.annotate(Signals, [...])"
  }
]

/** Dies where one of them is there that was not `outside`, which is what those who ask have had. */
export const refuse = (outside: Context.Context<never>): Layer.Layer<never> =>
  Layer.effectDiscard(
    Effect.contextWithEffect((context: Context.Context<never>) => {
      const found = services.find(
        ({ key }) => context.unsafeMap.get(key) !== outside.unsafeMap.get(key)
      )
      return found === undefined ? Effect.void : Effect.die(new MisplacedService(found))
    })
  )
