FROM scratch
COPY --from=busybox /etc/passwd /var/data /x/
