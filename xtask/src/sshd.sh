#!/bin/sh
# OpenSSH's server, from wherever it was found. Root's wants a user and a directory that only its
# installation makes: it gets both in a mount namespace of its own, which ends with it.
LD_LIBRARY_PATH='@LIBRARIES@'
export LD_LIBRARY_PATH
if [ "$(id -u)" = 0 ] && [ -z "$STILLWIRE_SSHD_INSIDE" ]; then
    STILLWIRE_SSHD_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi
if [ -n "$STILLWIRE_SSHD_INSIDE" ]; then
    mount -t tmpfs -o mode=755 tmpfs /run || exit 1
    mkdir -p -m 755 /run/sshd
    grep -v '^sshd:' /etc/passwd > /run/passwd
    echo 'sshd:x:65534:65534::/run/sshd:/usr/sbin/nologin' >> /run/passwd
    mount --bind /run/passwd /etc/passwd || exit 1
fi
exec '@PROGRAM@' "$@"
