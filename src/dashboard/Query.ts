/** What stands behind the `?` of a page's address; what is empty is left out. */
export type Query = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
