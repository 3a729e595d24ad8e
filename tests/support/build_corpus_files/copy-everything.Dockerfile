FROM busybox
WORKDIR /w
COPY . .
