#!/usr/bin/perl
# fcgi.pl ADDRESS [--responder] [--patience SECONDS] [--hex HEX [--hold]] [NAME=VALUE ...]: speak FastCGI at HOST:PORT or
# unix:PATH.
# With variables: one whole request in role AUTHORIZER, or RESPONDER; prints the answer's text.  With --hex: these bytes as they are;
# prints what came back as hexadecimal.  With --hold: says "held" once the bytes are sent, then keeps the connection
# until standard input ends.  An answer has to end within a minute, or as many as it is told.  Only what perl-base brings.
use strict;
use warnings;
use Socket;

$SIG{PIPE} = 'IGNORE';
$| = 1;

my $address = shift // die "usage: fcgi.pl ADDRESS ...\n";
my ($hex, $hold, $responder);
my $patience = 60;
while (@ARGV && $ARGV[0] =~ /^--/) {
	my $option = shift;
	if ($option eq '--hex') { $hex = shift; }
	elsif ($option eq '--hold') { $hold = 1; }
	elsif ($option eq '--patience') { $patience = shift; }
	elsif ($option eq '--responder') { $responder = 1; }
	else { die "no such option: $option\n"; }
}

my $s;
if ($address =~ /^unix:(.*)/) {
	socket($s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
	connect($s, pack_sockaddr_un("$1")) or die "connect: $!\n";
} else {
	my ($host, $port) = split /:/, $address;
	socket($s, AF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
	connect($s, pack_sockaddr_in($port, inet_aton($host))) or die "connect: $!\n";
}

sub record {	# FastCGI 1.0 section 3.3
	my ($type, $content) = @_;
	return pack('CCnnCC', 1, $type, 1, length($content), 0, 0) . $content;
}

sub size {	# FastCGI 1.0 section 3.4
	return length($_[0]) < 128 ? pack('C', length($_[0])) : pack('N', length($_[0]) | 0x80000000);
}

my $bytes;
if (defined $hex) {
	$bytes = pack('H*', $hex);
} else {
	$bytes = record(1, pack('nCxxxxx', $responder ? 1 : 2, 0));
	my $params = '';
	for (@ARGV) {
		my ($name, $value) = split /=/, $_, 2;
		$params .= size($name) . size($value) . $name . $value;
	}
	$bytes .= record(4, $params) . record(4, '') . ($responder ? record(5, '') : '');
}
while (length $bytes) {
	my $n = syswrite($s, $bytes);
	last unless $n;
	substr($bytes, 0, $n) = '';
}
if ($hold) {
	print "held\n";
	1 while <STDIN>;
	exit 0;
}

my $answer = '';
local $SIG{ALRM} = sub { print "no end after $patience s\n"; exit 1 };
alarm $patience;
1 while sysread($s, $answer, 65536, length $answer);
if (defined $hex) {
	print unpack('H*', $answer), "\n";
	exit 0;
}
my $ended = 0;
while (length $answer >= 8) {
	my (undef, $type, undef, $length, $padding) = unpack('CCnnCC', $answer);
	print substr($answer, 8, $length) if $type == 6;
	$ended = 1 if $type == 3;
	last if length $answer < 8 + $length + $padding;
	substr($answer, 0, 8 + $length + $padding) = '';
}
exit($ended ? 0 : 1);
