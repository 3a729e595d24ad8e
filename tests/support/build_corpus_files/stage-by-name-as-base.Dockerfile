FROM busybox AS base
ENV A=1
ONBUILD ENV T=1
RUN echo 1 > /f
FROM base
ENV B=$A
