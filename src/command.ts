/** `effect-workflow-executor/command`: the command line, to be run from another program. */

export { run } from "./cli/Command.js"
export { exitCodeOf } from "./cli/Failures.js"
