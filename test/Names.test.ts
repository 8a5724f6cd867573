/** What had another name in 0.1.0 still has it, too. */
import { assert, describe, it } from "@effect/vitest"
import * as Package from "../src/index.js"
import * as Sqlite from "../src/sqlite.js"

describe("the names of 0.1.0", () => {
  it("are those of the same things", async () => {
    assert.strictEqual(Package.SqlRunStore.layerFile, Package.SqliteRunStore.layerFile)
    assert.strictEqual(Sqlite.SqlRunStore.layerFile, Sqlite.SqliteRunStore.layerFile)
    assert.strictEqual(Package.WorkflowExecutor.sqlite, Package.PromiseExecutor.sqlite)
    const executor: Package.WorkflowExecutor.WorkflowExecutor = Package.PromiseExecutor.memory({
      workflows: []
    })
    assert.strictEqual(executor.submit, executor.startRun)
    await executor.stop()
  })
})
