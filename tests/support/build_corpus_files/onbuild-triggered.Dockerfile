FROM corpus-onbuild
ENV B=$A
