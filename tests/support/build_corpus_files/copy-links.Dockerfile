FROM busybox
COPY to-y /copied
COPY to-y /in/
COPY d/dir /dir
COPY d/link /l
