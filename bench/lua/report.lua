-- SPDX-License-Identifier: Apache-2.0
-- Prints what wrk counted as one line of JSON. Without a request() or response() function wrk sends
-- one prepared request and calls no Lua while it runs.
done = function(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
		'@json {"requests": %d, "duration_us": %d, "bytes": %d, "errors": {"connect": %d,' ..
		' "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
		summary.requests, summary.duration, summary.bytes,
		e.connect, e.read, e.write, e.status, e.timeout))
end
