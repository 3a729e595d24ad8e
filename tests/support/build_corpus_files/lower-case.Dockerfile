from busybox as x
env a=b
run echo 1 > /f
from X
cmd ["x"]
