FROM busybox
COPY *.txt /t/
COPY d/[ax]* /c/
COPY d/?.txt /q
ADD d/s* /s/
