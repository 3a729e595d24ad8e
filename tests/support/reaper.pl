# A reaper that speaks the protocol of testcontainers/ryuk 0.8: each client sends lines of filters
# (label=KEY=VALUE), each is answered by ACK; when the last client has been gone for RYUK_RECONNECTION_TIMEOUT
# seconds, every container that matches is removed through the mounted Docker socket. Needs Debian's perl-base only.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

my ($patience) = ($ENV{RYUK_RECONNECTION_TIMEOUT} // '10s') =~ /^(\d+)/;
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die "port 8080: $!";
$| = 1;
print "2026/01/01 00:00:00 Started!\n";

sub docker {
    my ($method, $path) = @_;
    my $socket = IO::Socket::UNIX->new('/var/run/docker.sock') or die "docker.sock: $!";
    print $socket "$method /v1.41$path HTTP/1.0\r\nHost: docker\r\n\r\n";
    $socket->flush;
    local $/;
    return scalar <$socket>;
}

sub escape { my ($text) = @_; $text =~ s/([^A-Za-z0-9_.-])/sprintf('%%%02X', ord $1)/ge; return $text; }

my (%labels, %open);
my $select = IO::Select->new($server);
my $served = 0;
while (1) {
    my @ready = $select->can_read($served && !%open ? $patience : undef);
    last unless @ready;
    for my $socket (@ready) {
        if ($socket == $server) {
            my $client = $server->accept or next;
            $select->add($client);
            $open{$client} = '';
            $served = 1;
            next;
        }
        if (!sysread $socket, $open{$socket}, 4096, length $open{$socket}) {
            $select->remove($socket);
            delete $open{$socket};
            next;
        }
        while ($open{$socket} =~ s/^label=([^\r\n]*)\r?\n//) {
            $labels{$1} = 1;
            syswrite $socket, "ACK\n";
        }
    }
}
for my $label (keys %labels) {
    my $filters = escape(qq({"label":["$label"]}));
    my ($own) = `cat /etc/hostname` =~ /(\w+)/;
    my $list = docker('GET', "/containers/json?all=1&filters=$filters");
    for my $id ($list =~ /"Id":"([0-9a-f]{64})"/g) {
        next if index($id, $own) == 0;
        print "removing $id\n";
        docker('DELETE', "/containers/$id?force=1&v=1");
    }
}
