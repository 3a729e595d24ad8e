# syntax=docker/dockerfile:1
FROM busybox
ENV A=1
