/** What is measured of PostgreSQL, in addition to what every store has. */
import { gauge, histogram } from "./Metrics.js"

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Connections that statements are executed on, or that nobody knows the end of yet. */
export const connectionsInUse = gauge(
  "database_connections_in_use",
  "Connections to PostgreSQL that this process executes statements on."
)

const waited = histogram(
  "database_connection_wait_seconds",
  "How long a read or a transaction waited for a connection to PostgreSQL.",
  seconds
)

export const waitedForConnection = (millis: number): void => waited(millis / 1000)

const notified = histogram(
  "database_notify_seconds",
  "From just before a commit that others are told of until its notice came back to this process.",
  seconds
)

export const heardOfItself = (millis: number): void => notified(millis / 1000)
