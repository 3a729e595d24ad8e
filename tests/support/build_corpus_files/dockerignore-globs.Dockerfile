FROM busybox
COPY . /x/
