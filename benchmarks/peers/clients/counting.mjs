// What the clients of peers on Node have in common; the commands are those of counting.py.
import readline from 'node:readline'

// Date.now() has whole milliseconds only, which is as long as what is measured.
const now = () => (performance.timeOrigin + performance.now()) / 1000

export function counter(jobs) {
  let count = 0
  return (number) => {
    if (!jobs) return console.log('ran', number, now())
    count += 1
    if (count === 1) console.log('begun', now())
    if (count === jobs) console.log('done', now())
  }
}

export async function main({ install, open, putMany, put, close, work }) {
  const [command, url, jobs] = [process.argv[2], process.argv[3], Number(process.argv[4])]
  if (command === 'fill') {
    await install(url)
    await open(url)
    const began = performance.now()
    if (jobs) await putMany(jobs)
    console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000 }))
    await close()
  } else if (command === 'one') {
    await open(url)
    let number = 0
    for await (const _ of readline.createInterface({ input: process.stdin })) {
      const before = now()
      await put(number)
      console.log('put', number, before, now())
      number += 1
      if (number === jobs) break
    }
    await close()
  } else {
    return work(url, counter(jobs))
  }
  process.exit(0)
}
