-- No client may say what bearergate says: this takes away every header that a client sends under a name that begins with X-Auth-,
-- in every spelling that some program takes for the same, before RequestHeader sets those that are true.
function unset(r)
  for name in pairs(r:headers_in_table()) do
    if name:lower():find("^x[-_]auth[-_]") then
      r.headers_in[name] = nil
    end
  end
  return apache2.DECLINED
end
