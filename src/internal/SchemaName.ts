/** Whether a schema of PostgreSQL may have this name: it is then the same quoted and not. */
export const isSchemaName = (name: string): boolean =>
  /^[a-z_][a-z0-9_]{0,62}$/.test(name) && !name.startsWith("pg_")
