// pg-boss in batches of 1000, looking again at once while there is work.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { main } from './counting.mjs'

const require = createRequire(process.env.PEER_FOLDER + '/')
const { PgBoss } = await import(pathToFileURL(require.resolve('pg-boss')))

let boss
const start = async (url, rest) => {
  boss = new PgBoss({ connectionString: url, ...rest })
  boss.on('error', console.error)
  await boss.start()
}

await main({
  install: async (url) => {
    await start(url)
    await boss.createQueue('noop')
    await boss.stop({ graceful: false })
  },
  open: (url) => start(url, { supervise: false, schedule: false }),
  putMany: async (jobs) => {
    for (let begin = 0; begin < jobs; begin += 5000) {
      const some = Math.min(5000, jobs - begin)
      await boss.insert('noop', Array.from({ length: some }, (_, i) => ({ data: { number: begin + i } })))
    }
  },
  put: (number) => boss.send('noop', { number }),
  close: () => boss.stop({ graceful: false }),
  work: async (url, hit) => {
    await start(url)
    const id = await boss.work('noop', { batchSize: 1000, pollingIntervalSeconds: 0.5 }, async (jobs) => {
      for (const job of jobs) hit(job.data.number)
      boss.notifyWorker(id)
    })
  },
})
