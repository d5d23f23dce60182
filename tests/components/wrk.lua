-- Posts files in turn, waits for every answer, and counts the answers.
-- BODIES names the files, SECS says how long; a file's text @@@@@@@@@@ becomes a number of ten
-- digits that no other request of the run has. The first digits of it are the thread's.
-- Before the end no new request begins, so that no answer is cut off and the count is exact.

local threads = {}
local bodies = {}

function setup(thread)
   thread:set("id", #threads)
   table.insert(threads, thread)
end

function init(args)
   sent, acknowledged, refused = 0, 0, 0
   stop_at = os.time() + tonumber(os.getenv("SECS"))
   for name in os.getenv("BODIES"):gmatch("[^:]+") do
      local file = assert(io.open(name, "rb"))
      local text = file:read("*a")
      file:close()
      local parts, from = {}, 1
      while true do
         local first, last = text:find("@@@@@@@@@@", from, true)
         table.insert(parts, text:sub(from, (first or 0) - 1))
         if not first then break end
         from = last + 1
      end
      table.insert(bodies, parts)
   end
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/x-protobuf"
   wrk.headers["Content-Encoding"] = os.getenv("ENCODING")
   if #bodies == 1 and #bodies[1] == 1 then
      ready = wrk.format(nil, nil, nil, bodies[1][1])
   end
end

function delay()
   if os.time() >= stop_at then return 3600000 end
   return 0
end

function request()
   sent = sent + 1
   if ready then return ready end
   local parts = bodies[(sent - 1) % #bodies + 1]
   local body = parts[1]
   if #parts > 1 then
      body = table.concat(parts, string.format("%02d%08d", id or 0, sent))
   end
   return wrk.format(nil, nil, nil, body)
end

function response(status)
   if status == 200 then acknowledged = acknowledged + 1 else refused = refused + 1 end
end

function done()
   local yes, no = 0, 0
   for _, thread in ipairs(threads) do
      yes, no = yes + thread:get("acknowledged"), no + thread:get("refused")
   end
   io.write(string.format("acknowledged=%d refused=%d\n", yes, no))
end
