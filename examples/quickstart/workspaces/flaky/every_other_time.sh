# Counts its calls in a file and fails the first, third, fifth ... time.
counter="${TMPDIR:-/tmp}/provisioner-quickstart-flaky.$(id -u)"
calls=$(($(cat "$counter" 2>/dev/null || echo 0) + 1))
echo "$calls" >"$counter"
if [ $((calls % 2)) -eq 1 ]; then
  echo "call $calls: the cloud has a bad day (on purpose)" >&2
  exit 1
fi
echo "call $calls: all is well"
