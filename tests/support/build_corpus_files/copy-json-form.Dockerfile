FROM busybox
COPY ["name with blank", "/a b/"]
