// Producers and workers of BullMQ, as an application has them: every job is done once, in every kind.
const { Queue, Worker, QueueEvents, FlowProducer } = require("bullmq");

const [host, port, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const connection = { host, port, maxRetriesPerRequest: null };
const prefix = "{bull}";

async function main() {
  const options = { connection, prefix };
  const queue = new Queue("work", options);
  const events = new QueueEvents("work", options);
  await events.waitUntilReady();
  const done = new Map();
  const workers = [];
  for (let i = 0; i < 4; ++i) {
    workers.push(new Worker("work", async (job) => {
      done.set(job.id, (done.get(job.id) ?? 0) + 1);
      if (job.data.fails && job.attemptsMade === 0) throw new Error("at first");
      return job.data.number * 2;
    }, { ...options, concurrency: 5 }));
  }
  const jobs = await queue.addBulk(Array.from({ length: count }, (_, number) => ({
    name: "double", data: { number }, opts: { priority: number % 3 + 1 } })));
  for (let number = 0; number < 20; ++number) {
    jobs.push(await queue.add("delayed", { number }, { delay: 50 + number }));
    jobs.push(await queue.add("retried", { number, fails: true }, { attempts: 2, backoff: 10 }));
  }
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 60000)));
  results.forEach((result, index) => {
    if (result !== jobs[index].data.number * 2) throw new Error(`job ${index}: ${result}`);
  });
  for (const job of jobs) {
    const expected = job.data.fails ? 2 : 1;
    if (done.get(job.id) !== expected) throw new Error(`job ${job.id} was done ${done.get(job.id)} times`);
  }
  const flow = new FlowProducer(options);
  const tree = await flow.add({ name: "parent", queueName: "work", data: { number: 1 },
    children: [1, 2, 3].map((number) => ({ name: "child", queueName: "work", data: { number } })) });
  await tree.job.waitUntilFinished(events, 60000);
  const counts = await queue.getJobCounts("active", "waiting", "delayed", "failed");
  if (Object.values(counts).some((value) => value !== 0)) throw new Error(JSON.stringify(counts));
  await queue.obliterate({ force: true });
  await Promise.all([...workers, queue, events, flow].map((each) => each.close()));
  console.log(`${jobs.length + 4} jobs done`);
}

main().catch((error) => { console.error(error); process.exit(1); });
