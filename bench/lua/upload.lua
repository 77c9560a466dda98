-- SPDX-License-Identifier: Apache-2.0
-- POST with a body of as many bytes as the first argument says. wrk prepares the request once.
dofile(debug.getinfo(1, "S").source:match("@?(.*/)") .. "report.lua")

init = function(args)
	wrk.method = "POST"
	wrk.body = string.rep("x", tonumber(args[1]))
	wrk.headers["Content-Type"] = "application/octet-stream"
end
