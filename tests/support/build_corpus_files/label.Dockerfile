FROM busybox
LABEL a=1 b="x y" \
  c.d='$HOME'
LABEL a=2
