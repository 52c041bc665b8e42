// Gets a release into a folder, and says how far it is.
//
//     mcs -out:get.exe Get.cs ../unity/Freshet.cs
//     LD_LIBRARY_PATH=../../target/release mono get.exe https://cdn.example.com/game/demo/channels/live ed25519:KEY ./game

using System;

internal static class Get
{
    private static int Main(string[] arguments)
    {
        if (arguments.Length != 3)
        {
            Console.Error.WriteLine("usage: get URL KEY FOLDER");
            return (int)Freshet.Result.Usage;
        }
        var options = new Freshet.Options { Url = arguments[0], Key = arguments[1], Folder = arguments[2] };
        try
        {
            Console.WriteLine(Freshet.Installation.Plan(options));
            using (var job = new Freshet.Job(options))
            {
                job.Happened += Show;
                job.Start();
                job.Wait();
                Console.WriteLine(job.Report());
            }
            bool isWhole = Freshet.Installation.Verify(options.Folder, false, out string found);
            Console.WriteLine(found);
            return isWhole ? 0 : (int)Freshet.Result.NotWhole;
        }
        catch (Freshet.FreshetException error)
        {
            Console.Error.WriteLine(error.Message);
            return (int)error.Result;
        }
    }

    private static void Show(Freshet.Happened happened)
    {
        if (happened.Kind == Freshet.Kind.Progress)
        {
            Console.WriteLine($"{happened.DoneBytes} of {happened.TotalBytes} bytes");
        }
        else if (happened.Kind == Freshet.Kind.Release)
        {
            Console.WriteLine($"version {happened.Text}");
        }
    }
}
