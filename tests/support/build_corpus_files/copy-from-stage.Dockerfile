FROM busybox AS one
RUN mkdir -m 711 /r && echo 1 > /r/f && chown 3:4 /r/f && chmod 4711 /r/f && ln -s f /r/l && ln /r/f /r/h
FROM busybox
COPY --from=one /r /r
COPY --from=0 /r/l /
COPY --from=one --chown=alice /r/f /c/
COPY --from=one /r/* /w/
