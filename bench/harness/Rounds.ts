import * as Records from "effect/Record"

/**
 * Measures subjects in turn, round after round, so that what disturbs the machine disturbs all of
 * them. Who goes first changes from round to round.
 */
export const interleave = async <Key extends string, Output>(
  subjects: Readonly<Record<Key, () => Promise<Output>>>,
  rounds: number
): Promise<Record<Key, ReadonlyArray<Output>>> => {
  const keys = Object.keys(subjects) as Array<Key>
  const outputs: Record<Key, Array<Output>> = Records.map(subjects, () => [])
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < keys.length; turn++) {
      const key = keys[(round + turn) % keys.length]!
      outputs[key].push(await subjects[key]())
    }
  }
  return outputs
}
