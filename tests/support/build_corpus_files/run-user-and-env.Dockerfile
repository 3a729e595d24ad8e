FROM busybox
ENV HOME=/home/alice
RUN chown alice $HOME
USER alice
RUN echo $HOME > $HOME/f && id -g >> $HOME/f
