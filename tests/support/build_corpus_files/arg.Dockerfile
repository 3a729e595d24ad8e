FROM busybox
ARG A
ARG B=two
ARG C=$B
RUN echo "$A $B $C" > /o
ENV B=env
RUN echo $B >> /o
