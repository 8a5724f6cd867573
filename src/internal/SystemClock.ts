import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"

/** The one that there is where nobody has provided another. */
export const systemClock = Context.get(DefaultServices.liveServices, Clock.Clock)
