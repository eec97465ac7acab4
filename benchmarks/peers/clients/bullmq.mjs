// BullMQ on ioredis, which forgets a job when it is done.
import { createRequire } from 'node:module'
import { main } from './counting.mjs'

const require = createRequire(process.env.PEER_FOLDER + '/')
const { Queue, Worker } = require('bullmq')

let queue

await main({
  install: async () => {},
  open: async (url) => {
    queue = new Queue('noop', { connection: { url } })
    await queue.waitUntilReady()
  },
  putMany: async (jobs) => {
    for (let start = 0; start < jobs; start += 5000) {
      const some = Math.min(5000, jobs - start)
      await queue.addBulk(Array.from({ length: some }, (_, i) => ({ name: 'noop', data: { number: start + i } })))
    }
  },
  put: (number) => queue.add('noop', { number }),
  close: () => queue.close(),
  work: async (url, hit) => {
    const worker = new Worker('noop', async (job) => hit(job.data.number), {
      connection: { url, maxRetriesPerRequest: null },
      concurrency: 100,
      removeOnComplete: { count: 0 },
    })
    worker.on('error', console.error)
  },
})
