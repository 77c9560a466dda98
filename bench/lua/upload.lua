-- SPDX-License-Identifier: Apache-2.0
-- POST with a body of as many bytes as the first argument says. The request is prepared once.
dofile(debug.getinfo(1, "S").source:match("@?(.*/)") .. "report.lua")

init = function(args)
	local body = string.rep("x", tonumber(args[1]))
	wrk.method = "POST"
	wrk.body = body
	wrk.headers["Content-Type"] = "application/octet-stream"
	local prepared = wrk.format()
	request = function() return prepared end
end
