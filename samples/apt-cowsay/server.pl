#!/usr/bin/env perl
# A web server that lets a cow answer. /?say=Hello makes it say so; /?say=Hello&file=tux asks a penguin.
use strict;
use warnings;
use IO::Socket::INET;

my $port   = $ENV{PORT} || 8000;
my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "port $port: $!\n";
$| = 1;
print "The cow listens on port $port.\n";
$SIG{TERM} = sub { exit 0 };
$SIG{CHLD} = 'IGNORE';

while (1) {
    my $client = $server->accept or next;
    my $child  = fork;
    defined $child or do { close $client; next };
    $child and do { close $client; next };
    alarm 10;    # a client that says nothing
    serve($client);
    exit 0;
}

sub serve {
    my ($client) = @_;
    my ($method, $target) = (<$client> // '') =~ m{^(\S+) (\S+)} or return;
    while (defined(my $header = <$client>)) { last if $header =~ /^\r?\n$/ }
    my ($path, $query) = split /\?/, $target, 2;
    return answer($client, '404 Not Found', 'text/plain', "There is only the cow at /\n") if $path ne '/';
    my %asked = map { my ($name, $value) = split /=/, $_, 2; ($name => decode($value)) } split /&/, $query // '';
    my $figure = ($asked{file} // '') =~ /^([a-z-]+)$/ ? $1 : 'default';
    my $words  = substr($asked{say} // 'Moo! I came with the Aptfile.', 0, 400);
    answer($client, '200 OK', 'text/html; charset=utf-8', page(cow($figure, $words)));
}

sub cow {
    my ($figure, $words) = @_;
    local $SIG{CHLD} = 'DEFAULT';
    my $balloon = '';
    open(my $from, '-|', 'cowsay', '-f', $figure, '--', $words) or return "The cow is not in: $!";
    $balloon .= $_ while <$from>;
    close $from;
    return $balloon || "There is no figure $figure.";
}

sub decode {
    my ($text) = @_;
    $text //= '';
    $text =~ tr/+/ /;
    $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    $text =~ s/[\x00-\x1f]/ /g;
    return $text;
}

sub page {
    my ($text) = @_;
    my %entities = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;');
    $text =~ s/([&<>])/$entities{$1}/g;
    return <<"HTML";
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>A cow from a Debian package</title>
<h1>A cow from a Debian package</h1>
<pre>$text</pre>
<form><input name="say" placeholder="Let it say …" autofocus> <button>Say</button></form>
<p>This page is written by Perl and the program cowsay. Both came from Debian, into a layer of the image.</p>
</html>
HTML
}

sub answer {
    my ($client, $status, $type, $body) = @_;
    my $length = length $body;
    print $client "HTTP/1.1 $status\r\nContent-Type: $type\r\nContent-Length: $length\r\nConnection: close\r\n\r\n$body";
    close $client;
}
