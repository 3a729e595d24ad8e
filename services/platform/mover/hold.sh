#!/bin/sh
# The script that criu calls on its way (ACTION SCRIPTS in criu(8)). At `post-restore` all is there, sockets are still in
# repair mode, and a failure undoes everything: it waits there until it is told to let the processes run, by the fifo `go`.
# A file of the program, not of the bundle: Debian's /run lets nothing be executed. The gate says where the bundle is.
case "$CRTOOLS_SCRIPT_ACTION" in
post-restore)
    cd "$SHOAL_BUNDLE" || exit 1
    echo "$CRTOOLS_INIT_PID" >held
    read -r word <go
    [ "$word" = go ]
    ;;
post-resume) : >"$SHOAL_BUNDLE/runs" ;;
esac
