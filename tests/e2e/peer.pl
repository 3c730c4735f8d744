#!/usr/bin/perl
# peer.pl ADDRESS FILE: a FastCGI program at HOST:PORT or unix:PATH, or - for the socket on standard input, that answers anything at all.  What it answers next is
# said in FILE, in Perl: out(TEXT) is a record of standard output, fin(APP, PROTOCOL) the end of the request, record(TYPE,
# TEXT, ID) any record, noise(SEED, N) bytes at random; their values are sent, one after the other, in one write.  "at_once()"
# ends the connection before anything is read, and "hang()" keeps it.  Prints "asked" for each request.  Only what
# perl-base brings.
use strict;
use warnings;
use Socket;

my ($address, $file) = @ARGV;
$| = 1;
$SIG{PIPE} = 'IGNORE';
$SIG{CHLD} = 'IGNORE';

my ($hang, $at_once);
sub record { my ($type, $text, $id) = @_; return pack('CCnnCC', 1, $type, $id // 1, length $text, 0, 0) . $text; }
sub out { return record(6, @_); }
sub fin { my ($app, $protocol, $id) = @_; return record(3, pack('NCxxx', $app // 0, $protocol // 0), $id); }
sub noise { my ($seed, $n) = @_; srand $seed; return join '', map { chr int rand 256 } 1 .. $n; }
sub hang { $hang = 1; return ''; }
sub at_once { $at_once = 1; return ''; }

my $listener;
if ($address eq '-') {	# as mod_fcgid has it
	open $listener, '+<&=', 0 or die "standard input: $!\n";
} elsif ($address =~ /^unix:(.*)/) {
	unlink $1;
	socket($listener, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
	bind($listener, pack_sockaddr_un("$1")) or die "bind: $!\n";
	chmod 0666, "$1";
} else {
	my ($host, $port) = split /:/, $address;
	socket($listener, AF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
	setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
	bind($listener, pack_sockaddr_in($port, inet_aton($host))) or die "bind: $!\n";
}
listen($listener, 64) or die "listen: $!\n" if $address ne '-';
print "listening\n";

sub asked {	# reads a request to the end of its parameters, and of its input where it is a responder's
	my $s = shift;
	my ($bytes, $role) = ('', 0);
	while (1) {
		while (length $bytes >= 8) {
			my (undef, $type, undef, $length, $padding) = unpack 'CCnnCC', $bytes;
			last if length $bytes < 8 + $length + $padding;
			$role = unpack 'n', substr $bytes, 8, 2 if $type == 1;
			return 1 if $length == 0 && $type == ($role == 1 ? 5 : 4);
			substr $bytes, 0, 8 + $length + $padding, '';
		}
		return unless sysread $s, $bytes, 65536, length $bytes;
	}
}

while (1) {
	accept(my $s, $listener) or next;
	my $pid = fork;
	if (defined $pid && $pid == 0) {
		close $listener;
		open my $in, '<', $file or exit 1;
		local $/;
		my $bytes = join '', eval scalar <$in>;
		print "fault: $@" if $@;
		if ($at_once || asked($s)) {
			print "asked\n";
			syswrite $s, $bytes if !$at_once;
			1 while $hang && sysread $s, my $rest, 1;
		}
		exit 0;
	}
	close $s;
}
