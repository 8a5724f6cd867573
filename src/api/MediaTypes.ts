/** What the API answers with where that is not JSON. */

/** The text format of Prometheus, version 0.0.4. */
export const prometheus = "text/plain; version=0.0.4; charset=utf-8"

/** Server-sent events. */
export const eventStream = "text/event-stream"
