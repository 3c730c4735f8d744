-- mod_fcgid hands the claims to the program behind as variables, and leaves them among the headers for the client as well.  This
-- takes them from there before anything is answered, whatever they are called; pages that Apache makes itself included.
function hide(r)
  for name in pairs(r:err_headers_out_table()) do
    if name:lower():find("^variable%-") then
      r.err_headers_out[name] = nil
    end
  end
  return apache2.DECLINED
end
