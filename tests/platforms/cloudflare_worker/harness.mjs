// A Worker in one Node process: real Pyodide, the real Workers SDK, Miniflare's R2.
//
// node harness.mjs RUNTIME SOURCES PORTS
//   RUNTIME  a folder with node_modules (pyodide, miniflare) and the unpacked SDK in `sdk`
//   SOURCES  the sources of a deployed Worker; `entry.py` has its class Default
//   PORTS    a file that is written when it answers: [the Worker's port, the port for orders]
//
// Knows Cloudflare's side of a Worker: how it is made, called and given its bindings. What Cloudflare
// injects into Pyodide and is not in the SDK is stood in for below. Knows nothing of OTLP.
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { Readable } from "node:stream";

const [runtime, sources, ports] = process.argv.slice(2);
const require = createRequire(join(runtime, "package.json"));
const { loadPyodide } = await import(require.resolve("pyodide").replace(/pyodide\.js$/, "pyodide.mjs"));
const { Miniflare } = require("miniflare");

// What the Worker writes to its console is its log.
const lines = [];
const say = console.log.bind(console);
console.log = (...words) => lines.push(words.join(" "));

// -- R2: Miniflare's, with faults in front of it ------------------------------------------------

const miniflare = new Miniflare({
  modules: true,
  script: "export default { fetch() { return new Response('') } }",
  host: "127.0.0.1",
  port: 0,
  r2Buckets: ["BUCKET"],
  compatibilityDate: "2026-04-01",
});
const storage = await miniflare.getR2Bucket("BUCKET");
let faults = [];
let hanging = 0;
// Processor time that R2 took, where one call at a time waits for it.
let waited = 0;
const processor = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

// What R2 says of an object. Each look at Miniflare's own is a call to another thread.
class HeadResult {
  constructor({ key, size, etag }) {
    Object.assign(this, { key, size, etag });
  }
}
class GetResult extends HeadResult {
  constructor(found) {
    super(found);
    this.body = found;
  }
}
function seen(name, found) {
  if (!found) return found;
  if (name === "get") return new GetResult(found);
  if (name !== "list") return new HeadResult(found);
  const { truncated, cursor } = found;
  return { objects: found.objects.map((one) => new HeadResult(one)), truncated, cursor };
}

async function call(name, words) {
  const next = faults[0]?.startsWith(`${name} `) ? faults.shift().slice(name.length + 1) : "";
  if (next === "fails") throw new Error(`${name}: Internal Error (10001)`);
  if (next === "hangs") {
    hanging += 1;
    return await new Promise(() => {});
  }
  const started = processor();
  const result = seen(name, await storage[name](...words));
  const content = name === "get" && result ? await result.body.arrayBuffer() : undefined;
  if (content) result.arrayBuffer = async () => content;
  waited += processor() - started;
  if (next === "lost") throw new Error("Network connection lost.");
  return result;
}

// The SDK knows a binding by the name of its class, and Miniflare's has another one.
class R2Bucket {
  put = (...words) => call("put", words);
  head = (...words) => call("head", words);
  get = (...words) => call("get", words);
  list = (...words) => call("list", words);
  delete = (...words) => call("delete", words);
}

// -- Python -------------------------------------------------------------------------------------

const python = await loadPyodide();
const site = python.runPython("import site; site.getsitepackages()[0]");

function install(folder, below) {
  for (const name of readdirSync(folder, { recursive: true })) {
    const path = join(folder, name);
    if (!statSync(path).isFile()) continue;
    const target = join(below, relative(folder, path));
    python.FS.mkdirTree(target.slice(0, target.lastIndexOf("/")));
    python.FS.writeFile(target, readFileSync(path));
  }
}
install(join(runtime, "sdk"), site);
install(sources, `${site}/worker`);
python.registerJsModule("_pyodide_entrypoint_helper", {
  // As Cloudflare's: what Python gives is awaited, and kept until then.
  patchWaitUntil(context) {
    context.waitUntil = (doing) => {
      const own = doing.copy();
      behind.add(own);
      (async () => own)().catch((error) => say(error.message)).finally(() => {
        behind.delete(own);
        own.destroy();
      });
    };
  },
  doAnImport: (name) => import(name),
  cloudflareWorkersModule: { env: {}, waitUntil() {} },
  cloudflareSocketsModule: {},
  *patch_env_helper() { yield; },
});
python.FS.writeFile(`${site}/_cloudflare_compat_flags.py`, "def __getattr__(name):\n    return True\n");
python.runPython(`
import sys
sys.path.insert(0, ${JSON.stringify(`${site}/worker`)})
before = set(sys.modules)
def forget():
    for name in set(sys.modules) - before:
        del sys.modules[name]
`);
const { python_from_rpc, python_to_rpc } = python.pyimport("workers");
python.runPython("before = set(sys.modules)");

// What goes on behind answers.
const behind = new Set();
const newContext = () => ({ waitUntil() {}, passThroughOnException() {} });

// An isolate: the sources are imported anew, and the class is made for each event.
let Default, env;
function restart({ variables, bucket, prelude }) {
  behind.clear(); // it has gone with its isolate
  env = { ...variables, ...(bucket ? { OTLP_BUCKET: new R2Bucket() } : {}) };
  python.runPython("forget()");
  Default = python.pyimport("entry").Default;
  python.runPython(prelude);
}

let took = 0;
async function dispatch(request) {
  const asked = python_from_rpc(request); // as Cloudflare's own runtime wraps it
  waited = 0;
  const started = processor();
  const worker = Default(newContext(), env);
  const result = await worker.fetch(asked);
  took = processor() - started - waited;
  const response = python_to_rpc(result);
  for (const one of [result, worker, asked]) one.destroy?.();
  return response;
}

// -- The ports ----------------------------------------------------------------------------------

const front = createServer(async (incoming, outgoing) => {
  const hasBody = !["GET", "HEAD"].includes(incoming.method);
  const body = hasBody ? Readable.toWeb(incoming) : undefined;
  try {
    const url = `http://${incoming.headers.host}${incoming.url}`;
    const { method, headers } = incoming;
    const request = new Request(url, { method, headers, body, duplex: "half" });
    const response = await dispatch(request);
    const content = Buffer.from(await response.arrayBuffer());
    outgoing.writeHead(response.status, [...response.headers].flat());
    outgoing.end(content);
  } catch (error) {
    // Only its message: otherwise Node prints the one long line of Pyodide's source.
    say(error.message);
    outgoing.writeHead(500).end(error.message);
  }
});

const orders = {
  restart: (asked) => restart(asked),
  async clear() {
    faults = [];
    hanging = 0;
    lines.length = 0;
    for (const key of await orders.keys()) await storage.delete(key);
  },
  faults: (asked) => { faults = asked; },
  lines: () => lines,
  async keys() {
    const keys = [];
    for (let cursor; ; ) {
      const found = await storage.list({ cursor });
      keys.push(...found.objects.map((one) => one.key));
      if (!found.truncated) return keys.sort();
      cursor = found.cursor;
    }
  },
  drop: () => front.closeAllConnections(), // whoever waits for an answer gets none
  async scheduled() {
    const context = newContext();
    const worker = Default(context, env);
    await worker.scheduled({ cron: "* * * * *", scheduledTime: Date.now() }, env, context);
    worker.destroy();
  },
  behind: () => behind.size,
  waiting: () => hanging,
  figures: () => ({ ms: took, memory: python._module.HEAPU8.length }),
  python: (source) => python.runPython(source),
};
const control = createServer(async (incoming, outgoing) => {
  const url = new URL(incoming.url, "http://127.0.0.1");
  try {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    if (url.pathname === "/object") {
      const found = await storage.get(url.searchParams.get("key"));
      outgoing.end(Buffer.from(await found.arrayBuffer()));
      return;
    }
    const asked = JSON.parse(Buffer.concat(chunks).toString() || "null");
    const result = await orders[url.pathname.slice(1)](asked);
    outgoing.end(JSON.stringify(result ?? null));
  } catch (error) {
    say(error.message);
    outgoing.writeHead(500).end(error.message);
  }
});

restart({ variables: {}, bucket: true, prelude: "" });
const listening = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
const both = [await listening(front), await listening(control)];
writeFileSync(`${ports}.partial`, JSON.stringify(both));
renameSync(`${ports}.partial`, ports);
