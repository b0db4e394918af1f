// The usual service for readings on MongoDB: Express and the official driver, one document a reading. It does carbond's job of taking and
// answering readings, no more: a key is checked, each item is validated against its sensor, a body is answered when its documents are
// durable (w: majority, j: true), and ranges are means by a step. Tuned as such services are: a worker a core, sensors in memory, one
// unordered insertMany a body, a unique index on (sensor, time) that also answers ranges, JSON parsed once, keep-alive, no logging.
//   node server.mjs PORT URI KEY SENSORS WORKERS
import cluster from "node:cluster"
import { createHash, timingSafeEqual } from "node:crypto"
import express from "express"
import { MongoClient } from "mongodb"

const [port, uri, key, sensorCount, workers] = process.argv.slice(2)
const hashed = text => createHash("sha256").update(text).digest()
const expected = hashed(`Bearer ${key}`)

async function serve() {
	const client = new MongoClient(uri, { writeConcern: { w: "majority", journal: true }, maxPoolSize: 50 })
	await client.connect()
	const readings = client.db().collection("peer_readings")
	const sensors = new Map(Array.from({ length: Number(sensorCount) }, (_, i) => [`s-${String(i).padStart(3, "0")}`, { low: -1e9, high: 1e9 }]))
	const app = express()
	app.disable("x-powered-by").disable("etag")
	app.use((request, response, next) =>
		timingSafeEqual(hashed(request.headers.authorization ?? ""), expected) ? next() : response.sendStatus(401))

	app.post("/v1/readings", express.json({ limit: "16mb" }), async (request, response) => {
		const documents = []
		for (const { tag, t0, dt, v } of request.body) {
			const sensor = sensors.get(tag)
			if (!sensor || !Number.isInteger(t0) || !Number.isInteger(dt) || !Array.isArray(v)) return response.sendStatus(422)
			for (let i = 0; i < v.length; i++) {
				if (typeof v[i] !== "number" || v[i] < sensor.low || v[i] > sensor.high) return response.sendStatus(422)
				documents.push({ s: tag, t: new Date((t0 + i * dt) / 1000), v: v[i] })
			}
		}
		try {
			const done = await readings.insertMany(documents, { ordered: false })
			response.status(202).json({ accepted: done.insertedCount })
		} catch (error) {
			if (error.code === 11000) response.status(202).json({ accepted: error.result.insertedCount })
			else response.sendStatus(503)
		}
	})

	app.get("/v1/readings", async (request, response) => {
		const { sensor, from, to, step } = request.query
		const rows = await readings.aggregate([
			{ $match: { s: sensor, t: { $gte: new Date(Number(from)), $lt: new Date(Number(to)) } } },
			{ $group: { _id: { $subtract: [{ $toLong: "$t" }, { $mod: [{ $toLong: "$t" }, Number(step)] }] }, mean: { $avg: "$v" }, count: { $sum: 1 } } },
			{ $sort: { _id: 1 } },
		]).toArray()
		response.json(rows)
	})
	app.listen(Number(port), "127.0.0.1")
}

if (cluster.isPrimary) {
	const client = new MongoClient(uri)
	await client.connect()
	await client.db().collection("peer_readings").createIndex({ s: 1, t: 1 }, { unique: true })
	await client.close()
	for (let i = 0; i < Number(workers); i++) cluster.fork()
	process.on("SIGTERM", () => { for (const worker of Object.values(cluster.workers)) worker.process.kill(); process.exit(0) })
} else {
	await serve()
}
