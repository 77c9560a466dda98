-- SPDX-License-Identifier: Apache-2.0
-- Takes the requests of a file in turn: each line is a host, a space and a path.
dofile(debug.getinfo(1, "S").source:match("@?(.*/)") .. "report.lua")

local prepared = {}
local count = 0
local at = 0

init = function(args)
	for line in io.lines(args[1]) do
		local host, path = line:match("^(%S+) (%S+)$")
		count = count + 1
		prepared[count] = wrk.format("GET", path, { ["Host"] = host })
	end
end

request = function()
	at = at % count + 1
	return prepared[at]
end
