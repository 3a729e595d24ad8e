FROM busybox AS a
COPY --from=0 /x /y
