/** Between the parent and a child process. */
export type ToChild = { readonly _tag: "Ask"; readonly input: unknown } | { readonly _tag: "Close" }

export type FromChild =
  | { readonly _tag: "Opened" }
  | { readonly _tag: "Answer"; readonly output: unknown }
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Failed"; readonly error: string }
