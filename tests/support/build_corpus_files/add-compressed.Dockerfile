FROM busybox
ADD a.tbz /bz/
ADD a.txz /xz/
ADD one.gz /gz/
