# comment
FROM busybox
RUN echo a \
  # inside
  && echo b > /b \

  && echo c > /c
