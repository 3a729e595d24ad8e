FROM busybox
COPY set /s
COPY --chown=alice set /t
RUN chmod 6755 /s
COPY empty /e
