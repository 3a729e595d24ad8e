FROM busybox
ENV A="ü ß"
RUN echo $A > /ä
COPY ö.txt /
