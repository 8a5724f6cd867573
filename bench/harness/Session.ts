/** What a child process does for its parent, until it is closed. */
export interface Session<Input, Output> {
  readonly ask: (input: Input) => Promise<Output>
  readonly close: () => Promise<void>
}
