// graphile-worker with its local queue and batched completion.
import { createRequire } from 'node:module'
import { main } from './counting.mjs'

const require = createRequire(process.env.PEER_FOLDER + '/')
const { makeWorkerUtils, run, runMigrations } = require('graphile-worker')
const { Pool } = require('pg')

let utils, pool

await main({
  install: async (url) => runMigrations({ connectionString: url }),
  open: async (url) => {
    pool = new Pool({ connectionString: url, max: 2 })
    utils = await makeWorkerUtils({ pgPool: pool })
  },
  putMany: async (jobs) => {
    for (let start = 0; start < jobs; start += 5000) {
      const some = Math.min(5000, jobs - start)
      await utils.addJobs(Array.from({ length: some }, (_, i) => ({ identifier: 'noop', payload: { number: start + i } })))
    }
  },
  put: async (number) => utils.addJob('noop', { number }),
  close: async () => { await utils.release(); await pool.end() },
  work: async (url, hit) => {
    const runner = await run({
      connectionString: url,
      noHandleSignals: true,
      taskList: { noop: async (payload) => hit(payload.number) },
      preset: {
        worker: {
          concurrentJobs: 24,
          maxPoolSize: 10,
          pollInterval: 2000,
          localQueue: { size: 500 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
    })
    await runner.promise
  },
})
